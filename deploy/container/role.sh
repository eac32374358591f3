#!/bin/sh
# Run once by PostgreSQL's image, when its data folder is empty: the portal's role, and the database that it owns.
set -eu
psql --set=ON_ERROR_STOP=1 --set=password="$(cat "${PASSWORDS:-/run/passwords}/password")" --username=postgres --dbname=postgres <<'SQL'
CREATE ROLE keyportal LOGIN PASSWORD :'password';
CREATE DATABASE keyportal OWNER keyportal ENCODING 'UTF8' TEMPLATE template0;
SQL
