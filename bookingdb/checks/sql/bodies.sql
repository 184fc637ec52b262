select f.name, f.prosrc from functions as f
