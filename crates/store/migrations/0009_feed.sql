-- Exports carry nothing of this.
-- The feed: events stay for a while after everybody has been told, for whoever reads them again. Its cursor is the last of
-- those that do not.
INSERT INTO event_cursors (consumer, position)
  SELECT 'feed', position FROM event_cursors WHERE consumer = 'line';
CREATE INDEX events_of_app ON events (app_id, position) WHERE position IS NOT NULL;
