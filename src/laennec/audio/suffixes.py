"""Endings by which a folder is searched for sound files; a file that is named itself may have any."""

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff")  # lower case; the first is preferred
