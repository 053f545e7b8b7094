"""A model's reply, read: lenient in form, strict in content."""

from loom_jupyter.pipeline.reply.reading import Reading, ReplyError, parse_reply, read_reply

__all__ = ["Reading", "ReplyError", "parse_reply", "read_reply"]
