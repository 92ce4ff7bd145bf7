"""A server's log and webhooks in a process of their own, to be killed: writes messages, tells of each once committed.

python -m tests.gateway.webhook_child DATA_DIR URL FIRST_NUMBER
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from assistant.config import Settings
from assistant.conversation.bus import Bus
from assistant.conversation.database import Database
from assistant.conversation.events import ConversationId, Message, NewEvent, Opened
from assistant.conversation.failed_webhooks import FailedWebhooks
from assistant.conversation.log import ConversationLog
from assistant.conversation.outbox import Outbox
from assistant.conversation.visitors import Visitors
from assistant.gateway import webhooks
from assistant.gateway.webhooks import running_webhooks
from tests.gateway.receiver import SECRET

NUM_CONVERSATIONS = 4


async def serve(data_dir: Path, url: str, first: int) -> None:
    webhooks.FIRST_WAIT_S = 0.05
    endpoint = {"name": "shop", "url": url, "secret_env": "HOOK_SECRET", "allow_private": True}
    settings = Settings(data_dir=data_dir, webhooks=[endpoint])
    database = Database(settings.log_url)
    await database.open()
    visitor, _ = await Visitors(database).add("default")
    log, outbox = ConversationLog(database, Bus()), Outbox(database, lease_s=0.5)
    await outbox.begin("shop")
    async with running_webhooks(
        settings.webhooks, log=log, outbox=outbox, failed=FailedWebhooks(database), poll_s=0.02
    ):
        number = first
        while True:
            said = Message(f"m_{number}", str(number), "", "en", client_msg_id=f"n{number}")
            conversation_id = ConversationId(f"c_{number % NUM_CONVERSATIONS}")
            opening = Opened("default", visitor.visitor_id)
            await log.append(conversation_id, [NewEvent("customer", said)], opening=opening)
            print(number, flush=True)
            number += 1
            await asyncio.sleep(0.005)


if __name__ == "__main__":
    os.environ["HOOK_SECRET"] = SECRET
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
