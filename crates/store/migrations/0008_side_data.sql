-- What the operator calls a customer, and notes of one.
ALTER TABLE customers ADD COLUMN display_name TEXT;
ALTER TABLE customers ADD COLUMN domain TEXT;
ALTER TABLE customers ADD COLUMN notes TEXT;

-- A vendor's own words on an environment that has its app: a line each, with the end of a line before the first as well.
CREATE TABLE environment_tags (
  app_id UUID NOT NULL,
  environment_id UUID NOT NULL,
  tags TEXT NOT NULL,
  CONSTRAINT environment_tags_pk PRIMARY KEY (environment_id, app_id),
  CONSTRAINT environment_tags_environment FOREIGN KEY (environment_id) REFERENCES environments (id)
);

-- When nothing of an app starts, as its owners say: in some countries or kinds of environments, or in all.
CREATE TABLE app_freezes (
  id UUID NOT NULL,
  app_id UUID NOT NULL,
  begins_on BIGINT NOT NULL,
  ends_on BIGINT NOT NULL,
  countries TEXT,
  kinds TEXT,
  reason TEXT NOT NULL,
  created_on BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  etag UUID NOT NULL,
  CONSTRAINT app_freezes_pk PRIMARY KEY (id),
  CONSTRAINT app_freezes_app FOREIGN KEY (app_id) REFERENCES apps (id)
);
CREATE INDEX app_freezes_of_app ON app_freezes (app_id, begins_on);
CREATE INDEX app_freezes_by_end ON app_freezes (ends_on);
