-- Exports carry nothing of this.
-- Whoever is told of events: at the instance of an app's owners, or of the operator. What is secret is sealed.
CREATE TABLE webhooks (
  id UUID NOT NULL,
  app_id UUID,
  tenant_id UUID,
  url TEXT NOT NULL,
  events TEXT NOT NULL,
  format TEXT NOT NULL,
  secret TEXT NOT NULL,
  former_secret TEXT,
  former_secret_until BIGINT,
  created_on BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  disabled_on BIGINT,
  disabled_reason TEXT,
  paused_until BIGINT,
  delivered_on BIGINT,
  etag UUID NOT NULL,
  CONSTRAINT webhooks_pk PRIMARY KEY (id)
);
CREATE INDEX webhooks_of_app ON webhooks (app_id, id);

-- What each of them is told, in the order in which it happened. There is a next attempt as long as it waits.
CREATE TABLE webhook_deliveries (
  entered INTEGER CONSTRAINT webhook_deliveries_pk PRIMARY KEY,
  webhook_id UUID NOT NULL,
  event_id UUID NOT NULL,
  kind TEXT NOT NULL,
  operation_id UUID,
  body TEXT NOT NULL,
  occurred_on BIGINT NOT NULL,
  status TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  next_on BIGINT,
  first_on BIGINT,
  last_on BIGINT,
  last_result TEXT,
  last_status BIGINT,
  last_milliseconds BIGINT
);
CREATE UNIQUE INDEX webhook_deliveries_once ON webhook_deliveries (webhook_id, event_id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_on, entered) WHERE next_on IS NOT NULL;
CREATE INDEX webhook_deliveries_in_order ON webhook_deliveries (webhook_id, operation_id, entered)
  WHERE next_on IS NOT NULL;
CREATE INDEX webhook_deliveries_listed ON webhook_deliveries (webhook_id, occurred_on);
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (occurred_on);

-- Which server sends them.
CREATE TABLE webhook_senders (
  name TEXT NOT NULL,
  held_by UUID,
  held_until BIGINT,
  CONSTRAINT webhook_senders_pk PRIMARY KEY (name)
);
INSERT INTO webhook_senders (name) VALUES ('webhooks');

INSERT INTO event_cursors (consumer, position)
  SELECT 'webhooks', position FROM event_cursors WHERE consumer = 'line';
