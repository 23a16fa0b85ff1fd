-- 0021 public_keys: a key whose token everybody may see.
--
-- Why      What a page embeds reads the numbers of one site with a key that stands in the page. A service that does not
--          know the scope yet gives such a key nothing.
-- Data     Keys keep their scopes; no row is written anew.
ALTER TABLE api_keys
    MODIFY COLUMN scope Enum8('read' = 1, 'write' = 2, 'admin' = 3, 'public' = 4)
        COMMENT 'read: the realtime answer; write: server-side tracking; admin: both; public: the numbers of site_id alone'
