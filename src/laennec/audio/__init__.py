"""Recordings: any sound file → float32 samples in [-1, 1], with everything wrong about it named.

Three rules hold here.

1. What cannot be listened to raises one :class:`~laennec.errors.LaennecError`: no such file, not audio,
   empty, too many samples that are no numbers, a sample rate outside 4 to 192 kHz, more than 64 channels.
2. What was repaired on the way is written in ``Recording.repairs``: header fields that contradict each other,
   placeholder sizes, NaN set to zero, samples above full scale.
3. What is wrong but left alone is a :class:`Finding` in ``Recording.warnings``: truncated, silent, clipped,
   too short.

Arrays are ``(channels, samples)``; time is the last axis.
"""
