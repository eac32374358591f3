"""What the workers of a portal do by themselves, without cron."""

from pathlib import Path

from tests.apikeys.test_remind import DUE_KEYS, OWNER
from tests.databases import portal_database
from tests.portal import Portal
from tests.waiting import wait_until

USED_ONCE = """
from apikeys.models import IdempotentAnswer
from credentials.usage.models import SourceAddress
key = APIKey.objects.latest("created_at")
key.secrets.update(ciphertext=None)
secret, now = key.secrets.get(), timezone.now()
SourceAddress.objects.create(credential=key.pk, secret=secret.pk, address="192.0.2.1", first_at=now, last_at=now)
IdempotentAnswer.objects.create(key=key, caller="user:usr_1", call=b"x", request=b"x", holds_secret=True, content=b"x")
"""


def test_notices_are_sent_and_used_answers_destroyed(tmp_path: Path) -> None:
    with portal_database(tmp_path) as database_url:
        site = Portal(tmp_path, database_url)
        site.make_developer(OWNER)
        site.shell(DUE_KEYS.format(1) + USED_ONCE)
        with site.running(workers=1):
            wait_until(lambda: any("A key that you use expires in 5 days." in message for message in site.messages()))
            answers = "from apikeys.models import IdempotentAnswer as A; print(A.objects.filter(content=None).count())"
            wait_until(lambda: site.shell(answers) == "1")
