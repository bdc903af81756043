-- Exports carry nothing of this.
-- What happened, for whoever is told of it: added by the change itself, gone once everybody has been told.
-- An INTEGER is given by the database, and is higher than those of all changes that this one waited for.
CREATE TABLE events (
  entered INTEGER CONSTRAINT events_pk PRIMARY KEY,
  position BIGINT,
  id UUID NOT NULL,
  kind TEXT NOT NULL,
  app_id UUID,
  environment_id UUID,
  operation_id UUID,
  payload TEXT NOT NULL,
  recorded_on BIGINT NOT NULL
);
CREATE INDEX events_not_in_line ON events (entered) WHERE position IS NULL;
CREATE UNIQUE INDEX events_in_line ON events (position) WHERE position IS NOT NULL;

-- How far each consumer has been told, and which server is telling it. The first row is the end of the line itself.
CREATE TABLE event_cursors (
  consumer TEXT NOT NULL,
  position BIGINT NOT NULL,
  held_by UUID,
  held_until BIGINT,
  CONSTRAINT event_cursors_pk PRIMARY KEY (consumer)
);
INSERT INTO event_cursors (consumer, position) VALUES ('line', 0), ('telemetry', 0);
