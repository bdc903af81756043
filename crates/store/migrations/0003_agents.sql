-- Who carries operations out, and reports what is installed. A token and a code are kept as the SHA-256 of their text.
CREATE TABLE agents (
  id UUID NOT NULL,
  name TEXT NOT NULL,
  name_key TEXT NOT NULL,
  scope_tenants TEXT,
  scope_families TEXT,
  scope_names TEXT,
  scope_reason TEXT,
  serves_unreported BOOLEAN NOT NULL,
  identity TEXT,
  created_on BIGINT NOT NULL,
  code_sha256 BYTEA,
  code_until BIGINT,
  token_sha256 BYTEA,
  token_until BIGINT,
  token_used BOOLEAN NOT NULL,
  former_token_sha256 BYTEA,
  former_token_until BIGINT,
  lost_token_sha256 BYTEA,
  session_id UUID,
  former_sessions TEXT,
  frozen_on BIGINT,
  frozen_reason TEXT,
  last_seen_on BIGINT,
  software TEXT,
  is_ready BOOLEAN,
  inventory_sequence BIGINT NOT NULL,
  inventory_on BIGINT,
  counted_since BIGINT,
  gained BIGINT NOT NULL DEFAULT 0,
  recorded_since BIGINT,
  recorded BIGINT NOT NULL DEFAULT 0,
  unrecorded BIGINT NOT NULL DEFAULT 0,
  unrecorded_id UUID,
  etag UUID NOT NULL,
  CONSTRAINT agents_pk PRIMARY KEY (id),
  CONSTRAINT agents_name UNIQUE (name_key)
);
CREATE UNIQUE INDEX agents_by_code ON agents (code_sha256) WHERE code_sha256 IS NOT NULL;
CREATE UNIQUE INDEX agents_by_token ON agents (token_sha256) WHERE token_sha256 IS NOT NULL;
CREATE UNIQUE INDEX agents_by_former_token ON agents (former_token_sha256) WHERE former_token_sha256 IS NOT NULL;
CREATE UNIQUE INDEX agents_by_lost_token ON agents (lost_token_sha256) WHERE lost_token_sha256 IS NOT NULL;
CREATE UNIQUE INDEX agents_by_identity ON agents (identity) WHERE identity IS NOT NULL;

-- An environment belongs to the agent that reported it first, until the operator says otherwise. What is reported as a
-- sandbox and was production before is disputed, and keeps what it was. What another agent reports is contested, and stays
-- with its own.
ALTER TABLE environments ADD COLUMN agent_id UUID;
ALTER TABLE environments ADD COLUMN missing_since BIGINT;
ALTER TABLE environments ADD COLUMN disputed_since BIGINT;
ALTER TABLE environments ADD COLUMN contested_since BIGINT;
CREATE INDEX environments_by_agent ON environments (agent_id, id) WHERE agent_id IS NOT NULL;
CREATE INDEX environments_due_of_agent ON environments (agent_id, due_on, id)
  WHERE agent_id IS NOT NULL AND due_on IS NOT NULL;
CREATE INDEX environments_missing ON environments (missing_since) WHERE missing_since IS NOT NULL;

-- The package is what it was when the operation was scheduled; who carries it out and how far that has come is known
-- from its start on.
ALTER TABLE operations ADD COLUMN package_sha256 BYTEA;
ALTER TABLE operations ADD COLUMN package_size BIGINT;
ALTER TABLE operations ADD COLUMN agent_id UUID;
ALTER TABLE operations ADD COLUMN agent_name TEXT;
ALTER TABLE operations ADD COLUMN progress_percent BIGINT;
ALTER TABLE operations ADD COLUMN progress_step TEXT;
ALTER TABLE operations ADD COLUMN progress_text TEXT;
ALTER TABLE operations ADD COLUMN progress_on BIGINT;
ALTER TABLE operations ADD COLUMN failure_cause TEXT;
ALTER TABLE operations ADD COLUMN downloads BIGINT;
CREATE INDEX operations_of_agent ON operations (agent_id, id) WHERE status = 'Running' AND agent_id IS NOT NULL;

-- What an inventory is compared with: what runs in an environment, or has succeeded there.
CREATE INDEX operations_tried ON operations (environment_id, app_id) WHERE status IN ('Running', 'Succeeded');

-- Whose tokens an application has its roles with, besides those of the publisher's tenant: another tenant's, or anybody's.
ALTER TABLE principals ADD COLUMN token_tenant_id UUID;
ALTER TABLE principals ADD COLUMN any_token_tenant BOOLEAN NOT NULL DEFAULT FALSE;

-- An application's service principal, by which its tenant knows it.
ALTER TABLE audit ADD COLUMN actor_object_id UUID;
ALTER TABLE operations ADD COLUMN created_by_object_id UUID;

-- What a package was compiled for, as a condition of its hotfixes.
ALTER TABLE versions ADD COLUMN runtime TEXT;

-- What an app takes up is counted before more of it comes.
CREATE INDEX versions_usage ON versions (app_id, status, size);
CREATE INDEX operations_waiting ON operations (app_id) WHERE status = 'Scheduled';

-- What the operator has stopped: `scheduling`, `app:` or `principal:` with an id.
CREATE TABLE freezes (
  subject TEXT NOT NULL,
  reason TEXT NOT NULL,
  frozen_on BIGINT NOT NULL,
  frozen_by TEXT NOT NULL,
  etag UUID NOT NULL,
  CONSTRAINT freezes_pk PRIMARY KEY (subject)
);

-- A key may stand for what no operation was made by. Keys are kept for a day, so nothing is taken over.
DROP TABLE idempotency_keys;
CREATE TABLE idempotency_keys (
  principal TEXT NOT NULL,
  method TEXT NOT NULL,
  path TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  body_sha256 BYTEA NOT NULL,
  operation_id UUID,
  created_on BIGINT NOT NULL,
  CONSTRAINT idempotency_keys_pk PRIMARY KEY (principal, method, path, idempotency_key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_on);

-- Who must have signed an app's packages, and who signed one, as it proves: the SHA-256 of their key, and whom their
-- certificate names.
ALTER TABLE apps ADD COLUMN signer_rule TEXT NOT NULL DEFAULT 'none';
ALTER TABLE versions ADD COLUMN signer_key BYTEA;
ALTER TABLE versions ADD COLUMN signer_subject TEXT;
