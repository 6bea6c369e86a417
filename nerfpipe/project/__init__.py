"""The project's own files: the catalogue of scenes, the repository, and the check of all settings."""
