-- analysts/user: creates a user who has the role of analysts and nothing else.
--
-- Serves   `pulsehouse analyst add`
-- Params   analyst   Identifier  name of the user; an error where there is one
--          database  Identifier  where the tables are
--          password_sha256  String  SHA-256 of the password, lower-case hex
CREATE USER {analyst:Identifier} IDENTIFIED WITH sha256_hash BY {password_sha256:String}
DEFAULT ROLE pulsehouse_analyst
DEFAULT DATABASE {database:Identifier}
