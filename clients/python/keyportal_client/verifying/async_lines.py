"""The connections of each event loop: no other can use them."""

import asyncio
import weakref

from keyportal_client.verifying.access import Access
from keyportal_client.verifying.async_line import AsyncLine


class AsyncLines:
    """Makes a line for each event loop that asks for one."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._lines: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncLine] = weakref.WeakKeyDictionary()

    def of_this_loop(self) -> AsyncLine:
        """Return the line of the loop that runs."""
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if line is None:
            # Its connections refer to their loop: nothing else would ever let go of one that was closed.
            for ended in [each for each in list(self._lines) if each.is_closed()]:
                self._lines.pop(ended, None)
            line = self._lines[loop] = AsyncLine(self._access, timeout=self._access.timeout)
        return line

    async def close(self) -> None:
        """Close the connections of the loop that runs."""
        line = self._lines.pop(asyncio.get_running_loop(), None)
        if line is not None:
            await line.close()
