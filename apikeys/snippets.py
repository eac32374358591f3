"""Ready-made calls with a secret filled in, for the secret page."""

from typing import NamedTuple

from django.conf import settings


class Snippet(NamedTuple):
    """One tab of the secret page."""

    id: str
    label: str
    code: str

    def __repr__(self) -> str:
        return f"Snippet({self.id!r})"


def snippets(secret: str) -> list[Snippet]:
    """Give the call to `/api/v1/me` in curl, Python, JavaScript and Go. They hold the secret."""
    url = f"{settings.KEYPORTAL_URL}/api/v1/me"
    header = f"Bearer {secret}"
    python = (
        "import urllib.request\n\n"
        f'request = urllib.request.Request("{url}", headers={{"Authorization": "{header}"}})\n'
        "print(urllib.request.urlopen(request).read().decode())"
    )
    javascript = (
        f'const response = await fetch("{url}", {{\n  headers: {{ Authorization: "{header}" }},\n}});\n'
        "console.log(await response.json());"
    )
    go = (
        f'request, err := http.NewRequest("GET", "{url}", nil)\nif err != nil {{\n\tlog.Fatal(err)\n}}\n'
        f'request.Header.Set("Authorization", "{header}")\nresponse, err := http.DefaultClient.Do(request)'
    )
    return [
        Snippet("curl", "curl", f'curl -H "Authorization: {header}" {url}'),
        Snippet("python", "Python", python),
        Snippet("javascript", "JavaScript", javascript),
        Snippet("go", "Go", go),
    ]
