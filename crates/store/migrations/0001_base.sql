-- One text for both databases. UUID, BYTEA and BOOLEAN are type names to PostgreSQL and affinities to SQLite;
-- instants are 100-ns ticks since 1970; a version is kept as text and as sixteen bytes that sort as it does.

CREATE TABLE apps (
  id UUID NOT NULL,
  publisher TEXT NOT NULL,
  publisher_tenant_id UUID NOT NULL,
  publisher_contact_email TEXT NOT NULL,
  storage_location TEXT NOT NULL,
  name TEXT,
  name_version_key BYTEA,
  etag UUID NOT NULL,
  created_on BIGINT NOT NULL,
  CONSTRAINT apps_pk PRIMARY KEY (id)
);

CREATE TABLE countries (
  app_id UUID NOT NULL,
  code TEXT NOT NULL,
  etag UUID NOT NULL,
  CONSTRAINT countries_pk PRIMARY KEY (app_id, code),
  CONSTRAINT countries_app FOREIGN KEY (app_id) REFERENCES apps (id)
);

CREATE TABLE principals (
  app_id UUID NOT NULL,
  id UUID NOT NULL,
  kind TEXT NOT NULL,
  tenant_id UUID,
  roles BIGINT NOT NULL,
  etag UUID NOT NULL,
  CONSTRAINT principals_pk PRIMARY KEY (app_id, id),
  CONSTRAINT principals_app FOREIGN KEY (app_id) REFERENCES apps (id)
);
CREATE INDEX principals_by_id ON principals (id);

CREATE TABLE blobs (
  location TEXT NOT NULL,
  sha256 BYTEA NOT NULL,
  generation UUID NOT NULL,
  size BIGINT NOT NULL,
  state TEXT NOT NULL,
  changed_on BIGINT NOT NULL,
  CONSTRAINT blobs_pk PRIMARY KEY (location, sha256, generation)
);
CREATE UNIQUE INDEX blobs_kept ON blobs (location, sha256) WHERE state <> 'deleting';

CREATE TABLE versions (
  app_id UUID NOT NULL,
  country_code TEXT NOT NULL,
  version_key BYTEA NOT NULL,
  version TEXT NOT NULL,
  major BIGINT NOT NULL,
  minor BIGINT NOT NULL,
  build BIGINT NOT NULL,
  revision BIGINT NOT NULL,
  package_id UUID NOT NULL,
  publisher TEXT NOT NULL,
  name TEXT NOT NULL,
  uploaded_on BIGINT NOT NULL,
  uploaded_by TEXT NOT NULL,
  availability TEXT NOT NULL,
  status TEXT NOT NULL,
  sync_mode TEXT NOT NULL,
  dependencies TEXT NOT NULL,
  application TEXT,
  platform TEXT,
  location TEXT NOT NULL,
  sha256 BYTEA NOT NULL,
  generation UUID NOT NULL,
  size BIGINT NOT NULL,
  upload_id UUID NOT NULL,
  etag UUID NOT NULL,
  CONSTRAINT versions_pk PRIMARY KEY (app_id, country_code, version_key),
  CONSTRAINT versions_country FOREIGN KEY (app_id, country_code) REFERENCES countries (app_id, code)
);
CREATE INDEX versions_by_line ON versions (app_id, country_code, major, minor, version_key);
CREATE INDEX versions_by_blob ON versions (location, sha256);
CREATE INDEX versions_uploading ON versions (uploaded_on) WHERE status = 'Uploading';

-- due_on is the instant at which work may next start there: none while nothing waits, something runs or it is held.
CREATE TABLE environments (
  id UUID NOT NULL,
  tenant_id UUID NOT NULL,
  family TEXT NOT NULL,
  family_key TEXT NOT NULL,
  name TEXT NOT NULL,
  name_key TEXT NOT NULL,
  country_code TEXT NOT NULL,
  kind TEXT NOT NULL,
  location_name TEXT NOT NULL,
  application_version TEXT,
  platform_version TEXT,
  window_start TEXT NOT NULL,
  window_end TEXT NOT NULL,
  window_zone TEXT NOT NULL,
  inventory_complete BOOLEAN NOT NULL,
  inventory_on BIGINT NOT NULL,
  held_since BIGINT,
  held_by UUID,
  due_on BIGINT,
  etag UUID NOT NULL,
  CONSTRAINT environments_pk PRIMARY KEY (id),
  CONSTRAINT environments_key UNIQUE (tenant_id, name_key, family_key)
);
CREATE INDEX environments_due ON environments (due_on, id) WHERE due_on IS NOT NULL;

-- The environment's columns stand here again, so that a vendor's list is one walk over one index.
CREATE TABLE installations (
  app_id UUID NOT NULL,
  environment_id UUID NOT NULL,
  country_code TEXT NOT NULL,
  tenant_id UUID NOT NULL,
  family TEXT NOT NULL,
  family_key TEXT NOT NULL,
  name TEXT NOT NULL,
  name_key TEXT NOT NULL,
  kind TEXT NOT NULL,
  location_name TEXT NOT NULL,
  version TEXT NOT NULL,
  version_key BYTEA NOT NULL,
  app_name TEXT,
  app_publisher TEXT,
  CONSTRAINT installations_pk PRIMARY KEY (environment_id, app_id),
  CONSTRAINT installations_environment FOREIGN KEY (environment_id) REFERENCES environments (id)
);
CREATE UNIQUE INDEX installations_in_order ON installations (app_id, country_code, tenant_id, name_key, family_key);
CREATE INDEX installations_by_name ON installations (app_id, country_code, name_key, tenant_id, family_key);
CREATE INDEX installations_by_version ON installations (app_id, country_code, version_key, tenant_id, name_key, family_key);

CREATE TABLE operations (
  id UUID NOT NULL,
  kind TEXT NOT NULL,
  app_id UUID NOT NULL,
  app_name TEXT,
  app_publisher TEXT,
  country_code TEXT NOT NULL,
  environment_id UUID NOT NULL,
  tenant_id UUID NOT NULL,
  family TEXT NOT NULL,
  family_key TEXT NOT NULL,
  environment_name TEXT NOT NULL,
  environment_name_key TEXT NOT NULL,
  environment_kind TEXT NOT NULL,
  source_version TEXT,
  source_version_key BYTEA,
  target_version TEXT,
  target_version_key BYTEA,
  status TEXT NOT NULL,
  ignore_window BOOLEAN NOT NULL,
  run_after BIGINT NOT NULL,
  created_on BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  started_on BIGINT,
  completed_on BIGINT,
  ended_on BIGINT,
  error_message TEXT,
  reason TEXT,
  lease_id UUID,
  lease_until BIGINT,
  CONSTRAINT operations_pk PRIMARY KEY (id)
);
-- One waiting or running operation for each installation, and one running operation in each environment.
CREATE UNIQUE INDEX operations_slot ON operations (environment_id, app_id) WHERE status IN ('Scheduled', 'Running');
CREATE UNIQUE INDEX operations_running ON operations (environment_id) WHERE status = 'Running';
CREATE INDEX operations_leased ON operations (lease_until, id) WHERE status = 'Running';
CREATE INDEX operations_ended ON operations (ended_on) WHERE ended_on IS NOT NULL;
CREATE INDEX operations_newest ON operations (app_id, country_code, created_on DESC, id);
CREATE INDEX operations_of_all ON operations (created_on DESC, id);
CREATE INDEX operations_by_target ON operations (app_id, country_code, target_version_key, created_on DESC, id);

CREATE TABLE idempotency_keys (
  principal TEXT NOT NULL,
  method TEXT NOT NULL,
  path TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  body_sha256 BYTEA NOT NULL,
  operation_id UUID NOT NULL,
  created_on BIGINT NOT NULL,
  CONSTRAINT idempotency_keys_pk PRIMARY KEY (principal, method, path, idempotency_key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_on);

CREATE TABLE audit (
  id UUID NOT NULL,
  recorded_on BIGINT NOT NULL,
  actor_kind TEXT NOT NULL,
  actor_id TEXT NOT NULL,
  actor_tenant_id UUID,
  actor_name TEXT,
  action TEXT NOT NULL,
  target TEXT NOT NULL,
  correlation_id UUID NOT NULL,
  before_state TEXT,
  after_state TEXT,
  CONSTRAINT audit_pk PRIMARY KEY (id)
);
CREATE INDEX audit_newest ON audit (recorded_on DESC, id);
CREATE INDEX audit_by_target ON audit (target, recorded_on DESC);

-- The import that this database was filled by, if it was: one row at most. Until it has ended, no service starts.
CREATE TABLE imports (
  slot BIGINT NOT NULL,
  manifest_sha256 BYTEA NOT NULL,
  locations TEXT NOT NULL,
  parts_done BIGINT NOT NULL,
  started_on BIGINT NOT NULL,
  ended_on BIGINT,
  CONSTRAINT imports_pk PRIMARY KEY (slot),
  CONSTRAINT imports_slot CHECK (slot = 1)
);
