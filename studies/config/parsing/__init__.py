"""From the composed config to typed settings: one file a section, and all problems noted on the way."""
