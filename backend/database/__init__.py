"""The application's database: engine, sessions, migrations."""
