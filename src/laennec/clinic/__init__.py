"""What clinics need around a recording: names and tags taken off before it leaves them."""
