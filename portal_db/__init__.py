"""Storage: tables, migrations, staging and what one run writes. Must not judge, map or fetch."""
