-- Which runs of pipelines may act for an app.
CREATE TABLE trusted_publishers (
  id UUID NOT NULL,
  app_id UUID NOT NULL,
  provider TEXT NOT NULL,
  issuer TEXT NOT NULL,
  repository TEXT NOT NULL,
  repository_key TEXT NOT NULL,
  repository_id TEXT,
  owner_id TEXT,
  workflow TEXT NOT NULL,
  job_workflow TEXT,
  environment TEXT,
  ref_pattern TEXT,
  events TEXT NOT NULL,
  runner_environment TEXT NOT NULL,
  may TEXT NOT NULL,
  max_availability TEXT NOT NULL,
  countries TEXT,
  lifetime_seconds BIGINT NOT NULL,
  state TEXT NOT NULL,
  pending_until BIGINT,
  locked_on BIGINT,
  created_on BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  used_on BIGINT,
  etag UUID NOT NULL,
  CONSTRAINT trusted_publishers_pk PRIMARY KEY (id),
  CONSTRAINT trusted_publishers_app FOREIGN KEY (app_id) REFERENCES apps (id)
);
CREATE INDEX trusted_publishers_of_app ON trusted_publishers (app_id, id);
CREATE INDEX trusted_publishers_by_name ON trusted_publishers (issuer, repository_key);
CREATE INDEX trusted_publishers_by_id ON trusted_publishers (issuer, repository_id);

-- What such runs were given, for a while after it has ended: exports carry none of it.
CREATE TABLE publisher_tokens (
  id UUID NOT NULL,
  publisher_id UUID NOT NULL,
  app_id UUID NOT NULL,
  sha256 BYTEA NOT NULL,
  run TEXT,
  repository TEXT NOT NULL,
  issued_on BIGINT NOT NULL,
  expires_on BIGINT NOT NULL,
  revoked_on BIGINT,
  CONSTRAINT publisher_tokens_pk PRIMARY KEY (id)
);
CREATE UNIQUE INDEX publisher_tokens_by_sha256 ON publisher_tokens (sha256);
CREATE INDEX publisher_tokens_of_publisher ON publisher_tokens (publisher_id, issued_on);
CREATE INDEX publisher_tokens_by_age ON publisher_tokens (expires_on);

-- Tokens of pipelines that were exchanged, so that each is good once. Exports carry none of it.
CREATE TABLE publisher_exchanges (
  token_sha256 BYTEA NOT NULL,
  remembered_until BIGINT NOT NULL,
  CONSTRAINT publisher_exchanges_pk PRIMARY KEY (token_sha256)
);
CREATE INDEX publisher_exchanges_by_age ON publisher_exchanges (remembered_until);
