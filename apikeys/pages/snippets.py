"""Ready-made calls for the secret page, each with a gap into which the page puts the secret."""

from typing import NamedTuple

from django.conf import settings

GO_BEFORE = """\
package main

import (
	"io"
	"net/http"
	"os"
)

func main() {{
	request, _ := http.NewRequest("GET", "{url}", nil)
	request.Header.Set("Authorization", "Bearer """
GO_AFTER = """")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	io.Copy(os.Stdout, response.Body)
}"""
PRINT_ANSWER = "print(urllib.request.urlopen(request).read().decode())"


class Snippet(NamedTuple):
    """One tab of the secret page: the code before the secret and the code after it."""

    id: str
    label: str
    before: str
    after: str


def snippets() -> list[Snippet]:
    """Return the call to `/api/v1/me` in curl, Python, JavaScript and Go, each with a gap for the secret."""
    url = f"{settings.KEYPORTAL_URL}/api/v1/me"
    python = f'import urllib.request\n\nurl = "{url}"\nheaders = {{"Authorization": "Bearer '
    javascript = f'const response = await fetch("{url}", {{\n  headers: {{ Authorization: "Bearer '
    go = GO_BEFORE.format(url=url)
    return [
        Snippet("curl", "curl", 'curl -H "Authorization: Bearer ', f'" {url}'),
        Snippet(
            "python", "Python", python, '"}\nrequest = urllib.request.Request(url, headers=headers)\n' + PRINT_ANSWER
        ),
        Snippet("javascript", "JavaScript", javascript, '" },\n});\nconsole.log(await response.json());'),
        Snippet("go", "Go", go, GO_AFTER),
    ]


def calls_by_variable(variable: str) -> list[Snippet]:
    """Return the same calls, which read the secret from an environment variable; each is whole in its first part."""
    url = f"{settings.KEYPORTAL_URL}/api/v1/me"
    python = (
        f'import os\nimport urllib.request\n\nheaders = {{"Authorization": f"Bearer {{os.environ[\'{variable}\']}}"}}\n'
    )
    javascript = f"const headers = {{ Authorization: `Bearer ${{process.env.{variable}}}` }};\n"
    go = GO_BEFORE.format(url=url) + f'"+os.Getenv("{variable}"))' + GO_AFTER.removeprefix('")')
    return [
        Snippet("curl", "curl", f'curl -H "Authorization: Bearer ${variable}" {url}', ""),
        Snippet(
            "python",
            "Python",
            f'{python}request = urllib.request.Request("{url}", headers=headers)\n{PRINT_ANSWER}',
            "",
        ),
        Snippet(
            "javascript",
            "JavaScript",
            f'{javascript}const response = await fetch("{url}", {{ headers }});\nconsole.log(await response.json());',
            "",
        ),
        Snippet("go", "Go", go, ""),
    ]
