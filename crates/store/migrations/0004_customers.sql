-- What customers ask for. Where an install comes from is nowhere, and where an uninstall leads to as well.
ALTER TABLE operations ADD COLUMN created_by_kind TEXT NOT NULL DEFAULT 'User';
ALTER TABLE operations ADD COLUMN created_by_name TEXT;
ALTER TABLE operations ADD COLUMN canceled_by TEXT;
ALTER TABLE operations ADD COLUMN canceled_by_name TEXT;
ALTER TABLE operations ADD COLUMN parent_id UUID;
ALTER TABLE operations ADD COLUMN allow_preview BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE operations ADD COLUMN allow_dependencies BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE operations ADD COLUMN allow_dependents BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE operations ADD COLUMN delete_data BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE operations ADD COLUMN accept_eula BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE operations ADD COLUMN language_id TEXT;
ALTER TABLE operations ADD COLUMN asked_run_after BIGINT;
ALTER TABLE operations ADD COLUMN postponed_on BIGINT;
ALTER TABLE operations ADD COLUMN postponed_by TEXT;
ALTER TABLE operations ADD COLUMN postpone_reason TEXT;

-- A customer's lists, the newest first: of an app in an environment, of an environment, of all of theirs.
CREATE INDEX operations_of_installation ON operations (environment_id, app_id, created_on DESC, id);
CREATE INDEX operations_of_environment ON operations (environment_id, created_on DESC, id);
CREATE INDEX operations_of_tenant ON operations (tenant_id, created_on DESC, id);

-- reported_window is what the agent reports where the customer has chosen another window, which holds until that changes.
ALTER TABLE environments ADD COLUMN update_cadence TEXT;
ALTER TABLE environments ADD COLUMN web_client_url TEXT;
ALTER TABLE environments ADD COLUMN web_service_url TEXT;
ALTER TABLE environments ADD COLUMN reported_window TEXT;

ALTER TABLE installations ADD COLUMN app_scope TEXT;
ALTER TABLE installations ADD COLUMN can_be_uninstalled BOOLEAN;

-- Who administers a customer's environments besides those who have a directory role for it: object ids and client ids, and the
-- partners that were let in with the end of that; a line each.
CREATE TABLE customers (
  tenant_id UUID NOT NULL,
  administrators TEXT NOT NULL,
  clients TEXT NOT NULL,
  partners TEXT NOT NULL,
  etag UUID NOT NULL,
  CONSTRAINT customers_pk PRIMARY KEY (tenant_id)
);
