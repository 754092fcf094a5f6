"""`{gallery}`: a card for each notebook, with the figure of its cell tagged "thumbnail" or else its
last, which links to it.

Links and pictures of Markdown files, which are right where the files are read in the repository,
are made to fit the pages.
"""

import os

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

LINKS = {
    'src="../notebooks/pictures/': 'src="tutorials/pictures/',
    'src="notebooks/pictures/': 'src="tutorials/pictures/',
    "](../tests/benchmarks/RESULTS.md)": "](results.md)",
    "](../CONTRIBUTING.md)": "](contributing.md)",
    "](CONTRIBUTING.md)": "](contributing.md)",
    "](CHANGELOG.md)": "](changelog.md)",
    "](docs/": "](",
}


def picture_of(page: nodes.document) -> str | None:
    """The image that stands for a notebook."""
    cells = [node for node in page.findall(nodes.container) if "cell_output" in node["classes"]]
    tagged = [node for node in page.findall(nodes.container) if "tag_thumbnail" in node["classes"]]
    images = [image["uri"] for cell in tagged or cells for image in cell.findall(nodes.image)]
    return images[-1] if images else None


class Gallery(SphinxDirective):
    """The cards, in the order of the notebooks' names."""

    def run(self) -> list[nodes.Node]:
        """A grid of sphinx-design."""
        lines = ["::::{grid} 1 2 2 3", ":gutter: 3", ""]
        for name in sorted(
            doc
            for doc in self.env.found_docs
            if doc.startswith("tutorials/") and doc != "tutorials/index"
        ):
            page = self.env.get_doctree(name)
            self.env.note_dependency(self.env.doc2path(name))
            title, picture = next(page.findall(nodes.title)).astext(), picture_of(page)
            shown = (
                []
                if picture is None
                else [f":img-top: /{os.path.relpath(self.env.srcdir / picture, self.env.srcdir)}"]
            )
            lines += [
                ":::{grid-item-card} " + title,
                f":link: /{name}",
                ":link-type: doc",
                *shown,
                ":::",
            ]
        return self.parse_text_to_nodes("\n".join([*lines, "::::"])) if len(lines) > 3 else []


def last(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """The gallery is read after the notebooks, and again with each of them."""
    if any(name.startswith("tutorials/") for name in docnames):
        docnames[:] = [name for name in docnames if name != "gallery"] + ["gallery"]


def fit_links(content: list[str]) -> None:
    """Replace links that hold in the repository by those that hold between the pages; the text is
    the list's only item."""
    for old, new in LINKS.items():
        content[0] = content[0].replace(old, new)


def setup(app: Sphinx) -> dict[str, bool]:
    """The extension."""
    app.add_directive("gallery", Gallery)
    app.connect("env-before-read-docs", last)
    app.connect("include-read", lambda app, path, parent, content: fit_links(content))
    app.connect("source-read", lambda app, page, content: fit_links(content))
    return {"parallel_read_safe": False, "parallel_write_safe": True}
