"""Studies: models x data x seeds from a TOML file; statistics, tables, pictures, cards."""
