"""
CopyObject as S3 answers it: with the checksums that the copy has, and with the one that was asked for.

S3 (API reference, CopyObject): `x-amz-checksum-algorithm` names the algorithm of the copy's checksum; without it, the
source's checksum goes with the copy; CopyObjectResult has `ChecksumType` and `Checksum<algorithm>`. MiniStack keeps the
source's checksum with the copy, and tells it to HEAD; it reads the algorithm of an upload only
(`x-amz-sdk-checksum-algorithm`), and its CopyObjectResult says nothing of checksums.
"""

from urllib.parse import unquote

from ministack.services import s3

END = b"</CopyObjectResult>"


def checksum_elements(checksums: dict) -> bytes:
    """Of the algorithms and base64 values of an object. `<base64>-<parts>` is a checksum over those of its parts."""
    if not checksums:
        return b""
    is_composite = any("-" in value for value in checksums.values())
    texts = {"ChecksumType": "COMPOSITE" if is_composite else "FULL_OBJECT"}
    texts |= {f"Checksum{algorithm}": value for algorithm, value in checksums.items()}
    return "".join(f"<{name}>{text}</{name}>" for name, text in texts.items()).encode()


def is_checked(copy_source: str, algorithm: str) -> bool:
    """Whether the source, an object's newest version, has this checksum of its whole: it goes with the copy."""
    bucket, _, key = unquote(copy_source.lstrip("/")).partition("/")
    source = s3._buckets.get(bucket, {}).get("objects", {}).get(key, {})
    return "-" not in (source.get("checksums") or {}).get(algorithm, "-")


def with_checksums(copy_object):
    """`copy_object(bucket, key, headers)` answers status, headers and the XML of the result."""

    def answer(bucket: str, key: str, headers: dict) -> tuple:
        asked = headers.get("x-amz-checksum-algorithm")
        if asked and not is_checked(headers["x-amz-copy-source"], asked):
            headers = {**headers, "x-amz-sdk-checksum-algorithm": asked}
        status, response_headers, body = copy_object(bucket, key, headers)
        if status == 200:
            checksums = s3._buckets[bucket]["objects"][key]["checksums"]
            told = {asked: checksums[asked]} if asked else checksums
            body = body.replace(END, checksum_elements(told) + END)
        return status, response_headers, body

    return answer


def answer_copies_with_checksums() -> None:
    s3._copy_object = with_checksums(s3._copy_object)
