"""The page: a folder of recordings is looked at, listened to, corrected and learnt from, on one computer."""
