"""What Sphinx is told; the sources are made by pages.py."""

project = "Socket lab kit"
author = copyright = "the authors of the kit"
html_title = project
extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]
suppress_warnings = ["myst.header"]
default_role = "literal"
smartquotes = False
html_theme = "furo"
html_theme_options = {"light_css_variables": {"color-brand-primary": "#0b5f8a", "color-brand-content": "#0b5f8a"}}
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_last_updated_fmt = None
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "undoc-members": False}
pygments_style, pygments_dark_style = "friendly", "monokai"
nitpicky = False  # types of the standard library lead nowhere: that would need the network
