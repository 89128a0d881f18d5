"""Build what panels draw; pure, without Textual or Rich."""
