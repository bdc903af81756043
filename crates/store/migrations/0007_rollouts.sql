-- One decision for many environments. What was asked for is the definition, JSON that never changes; where the rollout stands
-- is the rest. step_on is the instant at which somebody is to look at it next.
CREATE TABLE rollouts (
  id UUID NOT NULL,
  app_id UUID NOT NULL,
  name TEXT NOT NULL,
  note TEXT,
  target_version TEXT NOT NULL,
  target_version_key BYTEA NOT NULL,
  definition TEXT NOT NULL,
  fingerprint BYTEA NOT NULL,
  environments BIGINT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT,
  reason_text TEXT,
  outcome TEXT,
  withdraws BOOLEAN NOT NULL,
  paused_since BIGINT,
  engine_time BIGINT NOT NULL,
  revision BIGINT NOT NULL,
  held BIGINT NOT NULL,
  step_on BIGINT,
  created_on BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  created_by_kind TEXT NOT NULL,
  created_by_name TEXT,
  created_by_object_id UUID,
  needs_approval BOOLEAN NOT NULL,
  approved_on BIGINT,
  approved_by TEXT,
  approved_by_name TEXT,
  approval_remark TEXT,
  ended_on BIGINT,
  etag UUID NOT NULL,
  CONSTRAINT rollouts_pk PRIMARY KEY (id),
  CONSTRAINT rollouts_app FOREIGN KEY (app_id) REFERENCES apps (id)
);
CREATE INDEX rollouts_of_app ON rollouts (app_id, created_on DESC, id);
CREATE INDEX rollouts_to_step ON rollouts (step_on, id) WHERE step_on IS NOT NULL;
CREATE INDEX rollouts_ended ON rollouts (ended_on) WHERE ended_on IS NOT NULL;

-- Its waves, counted from 0.
CREATE TABLE rollout_waves (
  rollout_id UUID NOT NULL,
  wave BIGINT NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  is_taken BOOLEAN NOT NULL,
  begun_on BIGINT,
  deadline_from BIGINT,
  proceeds_since BIGINT,
  gate_opened BOOLEAN NOT NULL,
  passed_on BIGINT,
  stopped_by TEXT,
  acknowledged BIGINT NOT NULL,
  last_ended_on BIGINT,
  CONSTRAINT rollout_waves_pk PRIMARY KEY (rollout_id, wave)
);

-- The environments of a rollout, each once and for ever: by what tells environments apart, for one that is removed and comes
-- back is another row under the same key. What they are ordered by stands here as it was when the rollout was made. wave is none
-- while no wave has taken it; is_held says that nobody who starts hotfixes looks at the one that is scheduled for it.
CREATE TABLE rollout_members (
  rollout_id UUID NOT NULL,
  tenant_id UUID NOT NULL,
  family TEXT NOT NULL,
  family_key TEXT NOT NULL,
  name TEXT NOT NULL,
  name_key TEXT NOT NULL,
  environment_id UUID NOT NULL,
  country_code TEXT NOT NULL,
  kind TEXT NOT NULL,
  version TEXT NOT NULL,
  version_key BYTEA NOT NULL,
  lot BIGINT NOT NULL,
  wave BIGINT,
  state TEXT NOT NULL,
  attempt BIGINT NOT NULL,
  operation_id UUID,
  is_held BOOLEAN NOT NULL,
  reason TEXT,
  reason_text TEXT,
  reason_key TEXT,
  changed_on BIGINT NOT NULL,
  CONSTRAINT rollout_members_pk PRIMARY KEY (rollout_id, tenant_id, name_key, family_key)
);
CREATE INDEX rollout_members_by_name ON rollout_members (rollout_id, state, wave, name_key, tenant_id, family_key);
CREATE INDEX rollout_members_by_operation ON rollout_members (operation_id) WHERE operation_id IS NOT NULL;
CREATE INDEX rollout_members_open ON rollout_members (environment_id) WHERE state IN ('Taken', 'Blocked', 'Scheduled', 'Running');

-- How many of them stand where, changed together with them. What no wave has taken counts as wave -1.
CREATE TABLE rollout_counts (
  rollout_id UUID NOT NULL,
  wave BIGINT NOT NULL,
  state TEXT NOT NULL,
  members BIGINT NOT NULL,
  CONSTRAINT rollout_counts_pk PRIMARY KEY (rollout_id, wave, state)
);

ALTER TABLE operations ADD COLUMN rollout_id UUID;
CREATE INDEX operations_of_rollout ON operations (rollout_id, started_on) WHERE rollout_id IS NOT NULL;

-- Which rollouts of an app somebody else than their creator has to approve: none, all, or those of which more than so many
-- environments are in production. An app without a row asks for none.
CREATE TABLE approval_policies (
  app_id UUID NOT NULL,
  approval TEXT NOT NULL,
  production_above BIGINT,
  etag UUID NOT NULL,
  CONSTRAINT approval_policies_pk PRIMARY KEY (app_id),
  CONSTRAINT approval_policies_app FOREIGN KEY (app_id) REFERENCES apps (id)
);

-- Since when a principal may approve rollouts; nobody kept that before.
ALTER TABLE principals ADD COLUMN approves_since BIGINT;
