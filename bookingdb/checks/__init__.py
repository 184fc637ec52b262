"""Look whether what is installed is what this version installs, and holds."""
