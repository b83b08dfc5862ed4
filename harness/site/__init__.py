"""The site: handouts, protocol, notes for teachers and the reference as static pages that need no network."""
