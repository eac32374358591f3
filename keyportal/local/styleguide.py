"""Local mode only: a page that shows every component of the style sheets. Production has no URL for it.

Each component is drawn by the template that pages use, wherever there is one, so that this page can't show another
look.
"""

from typing import Final, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.http import require_safe

from keyportal.local.samples import samples


class Component(NamedTuple):
    """One component, and when to use it."""

    id: str
    name: str
    use: str

    @property
    def template(self) -> str:
        """The template that draws it."""
        return f"styleguide/_{self.id}.html"


COMPONENTS: Final = (
    Component(
        "text", "Text", "One h1 a page. Soft ink for what can be skipped, monospace for what is copied or compared."
    ),
    Component("layout", "Layout", "Stacks set the distance between blocks, clusters put small things into a row."),
    Component(
        "navigation",
        "Navigation",
        "At the side of pages that belong together. The header and the footer are this page's.",
    ),
    Component(
        "buttons",
        "Buttons",
        "One primary button a form. The label says what it does. Danger is for what can't be undone.",
    ),
    Component("notices", "Notices", "What happened, or what to know before going on. An error says what to do next."),
    Component("pills", "Pills", "A state or a kind in one or two words. The colour repeats what the word says."),
    Component("cards", "Cards", "What belongs together. The danger card stands last on its page."),
    Component("forms", "Forms", "One column. Help stands under the field; optional fields say so."),
    Component("errors", "Form errors", "A summary that links to each field, and the error under the field."),
    Component("choices", "Choices", "Few options that need an explanation. A plain check box for a single yes or no."),
    Component("filters", "Filters", "Above a list: search first, and Clear once something is filtered."),
    Component("table", "Tables", "Rows that are compared. On a phone each row becomes a card."),
    Component("suggestions", "Suggestions", "What can be taken over into a form, with the reason beside it."),
    Component("facts", "Facts", "Names and values of one thing."),
    Component("timeline", "Timelines", "What happened, newest first, with who, from where and when."),
    Component("charts", "Charts", "Bars of calls, refusals in red. The same numbers stand beside them in words."),
    Component("code", "Code blocks", "A command or a piece of code that is copied as a whole."),
    Component(
        "secret", "Secret field and tabs", "Once, after a key was created or revealed. Tabs work without scripts."
    ),
    Component("operation", "Operations", "One operation of the API in its reference: members, an example, errors."),
    Component("pagination", "Pagination", "Under every list that can grow beyond a page."),
    Component("empty", "Empty states", "In the place of a list: what would be here, and how to begin."),
    Component("hero", "Hero", "The front page, and pages that say one thing: an error, a limit."),
)


@require_safe
def styleguide(request: HttpRequest) -> HttpResponse:
    """Show every component, with its name and when to use it."""
    return TemplateResponse(request, "styleguide/page.html", {"components": COMPONENTS, **samples()._asdict()})
