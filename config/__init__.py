"""What was chosen: settings, YAML readers, and the YAML."""
