-- From where a change was asked for, and by which API.
ALTER TABLE audit ADD COLUMN address TEXT;
ALTER TABLE audit ADD COLUMN via TEXT;

-- By what a token is recognised by whoever has it, and when it was last used.
ALTER TABLE publisher_tokens ADD COLUMN last_four TEXT NOT NULL DEFAULT '????';
ALTER TABLE publisher_tokens ADD COLUMN used_on BIGINT;

-- When a run last said itself that it means this publisher: nobody else's run can have said so.
ALTER TABLE trusted_publishers ADD COLUMN named_on BIGINT;

-- Ids that a publisher of an app was locked to and that no Owner of it has confirmed, whatever became of the publisher.
CREATE TABLE unconfirmed_ids (
  app_id UUID NOT NULL,
  issuer TEXT NOT NULL,
  repository_id TEXT NOT NULL,
  owner_id TEXT NOT NULL,
  CONSTRAINT unconfirmed_ids_pk PRIMARY KEY (app_id, issuer, repository_id, owner_id),
  CONSTRAINT unconfirmed_ids_app FOREIGN KEY (app_id) REFERENCES apps (id)
);
INSERT INTO unconfirmed_ids (app_id, issuer, repository_id, owner_id)
SELECT DISTINCT app_id, issuer, repository_id, owner_id
FROM trusted_publishers
WHERE state = 'Unconfirmed' AND repository_id IS NOT NULL AND owner_id IS NOT NULL;
