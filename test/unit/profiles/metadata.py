#!/usr/bin/env python3
"""The schema of metadata takes the sample and its lawful variants, and refuses the others.

usage: metadata.py PROFILES-FOLDER [DOCUMENT...]   (documents: must be valid)
"""
import copy
import json
import pathlib
import sys

import jsonschema

DISCARDED_MEDIA = ["mediaDescriptor", "duration", "size", "pkcs7", "certAlias"]
DISCARDED = ["envelope", "cipher", "keyTransport", "keyCommitment", "recipients", "sha256",
             "plainSize", "chunkSize", "chunkDigests", "durationMs", "gaps", "masked"]
GAP = {"offset": 320000, "bytes": 640, "time": "2026-03-02T09:15:20.000Z"}


def media(document):
    return document["mediaFiles"][0]


def own(document):
    return media(document)["sealtape"]


def discard(document):
    for name in DISCARDED_MEDIA:
        del media(document)[name]
    for name in DISCARDED:
        del own(document)[name]
    own(document)["outcome"] = "discarded"


def degrade(document):
    own(document).update(outcome="degraded", gaps=[GAP])


def modern(document):
    media(document)["pkcs7"] = media(document)["pkcs7"].replace("PKCS7", "CMS")
    own(document).update(envelope="modern", cipher="aes-256-gcm",
                         keyTransport="rsaes-oaep-sha256")


LAWFUL = {
    "the sample": lambda d: None,
    "discarded, without media": discard,
    "degraded, with a gap": degrade,
    "interrupted, with a gap": lambda d: own(d).update(outcome="interrupted", gaps=[GAP]),
    "interrupted": lambda d: own(d).update(outcome="interrupted"),
    "empty": lambda d: own(d).update(outcome="empty", plainSize=0, durationMs=0),
    "modern": modern,
    "a pause with its length": lambda d: own(d)["masked"].append(
        {"startMs": 1, "endMs": 1, "kind": "pause", "elapsedMs": 5000}),
    "without telephone numbers": lambda d: (d.pop("callerPhoneNumber"), d.pop("ccid")),
    "members that a processor added": lambda d: (
        d.update(revision=2), media(d).update(channels=1), own(d).update(seal={}, rewraps=[])),
    "two media of one recording": lambda d: d["mediaFiles"].append(
        {**copy.deepcopy(media(d)), "mediaId": "01K8ACME0001-0000000000000000.wav"}),
    "names that are not ASCII": lambda d: media(d).update(ivrprofile="Zürich \"1\"\u0001"),
}

UNLAWFUL = {
    "no media file": lambda d: d.update(mediaFiles=[]),
    "no id": lambda d: d.pop("id"),
    "the spool's own member": lambda d: d.update(spool={"format": 1}),
    "a time without milliseconds": lambda d: d.update(startTime="2026-03-02T09:15:00Z"),
    "a time of another zone": lambda d: d.update(stopTime="2026-03-02T09:15:00.000+01:00"),
    "size as a number": lambda d: media(d).update(size=3271744),
    "duration in seconds": lambda d: media(d).update(duration="204.480"),
    "an object at a file": lambda d: media(d)["mediaDescriptor"].update(path="file:///x.bin"),
    "a path with a password": lambda d: media(d)["mediaDescriptor"].update(
        path="https://u:p@store.example/x.bin"),
    "storagePath with a slash": lambda d: media(d)["mediaDescriptor"]["data"].update(
        storagePath="https://store.example/recordings/"),
    "a mediaId that leaves its folder": lambda d: media(d).update(
        mediaId="../x-9f31c2d4a07be655.wav"),
    "a mediaId that may repeat": lambda d: media(d).update(mediaId="01K8ACME0001.wav"),
    "a mask of another kind": lambda d: media(d)["masks"][0].update(type="masked"),
    "a parameter with a credential": lambda d: media(d)["parameters"].update(
        {"rp.callrec_authorization": "x"}),
    "a parameter with a password": lambda d: media(d)["parameters"].update({"myPassWord": "x"}),
    "a parameter that is a number": lambda d: media(d)["parameters"].update(agentId=7),
    "an envelope of another label": lambda d: media(d).update(
        pkcs7=media(d)["pkcs7"].replace("PKCS7", "CERTIFICATE")),
    "an envelope with two labels": lambda d: media(d).update(
        pkcs7=media(d)["pkcs7"].replace("END PKCS7", "END CMS")),
    "no envelope": lambda d: media(d).pop("pkcs7"),
    "no recipient": lambda d: own(d).update(recipients=[]),
    "another version": lambda d: own(d).update(version=2),
    "a cipher without a size": lambda d: own(d).update(cipher="aes-cbc"),
    "no outcome": lambda d: own(d).pop("outcome"),
    "an outcome of its own": lambda d: own(d).update(outcome="lost"),
    "degraded without gaps": lambda d: own(d).update(outcome="degraded"),
    "complete with gaps": lambda d: own(d).update(gaps=[GAP]),
    "a gap of no bytes": lambda d: own(d).update(outcome="degraded", gaps=[{**GAP, "bytes": 0}]),
    "a gap without a time": lambda d: own(d).update(
        outcome="degraded", gaps=[{"offset": 1, "bytes": 1}]),
    "a span that never ends": lambda d: own(d)["masked"][0].pop("endMs"),
    "discarded with an envelope": lambda d: own(d).update(outcome="discarded"),
    "digests in hex": lambda d: own(d).update(chunkDigests=["00" * 32]),
    "upper-case hex": lambda d: own(d).update(sha256="A" * 64),
    "a short commitment": lambda d: own(d).update(keyCommitment="00"),
    "a sequence as a string": lambda d: own(d).update(sequence="17"),
    "no salt": lambda d: own(d).pop("salt"),
}


def main():
    folder = pathlib.Path(sys.argv[1])
    schema = json.loads((folder / "metadata.schema.json").read_text())
    sample = json.loads((folder / "metadata.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    wrong = 0
    for table, valid in ((LAWFUL, True), (UNLAWFUL, False)):
        for name, change in table.items():
            document = copy.deepcopy(sample)
            change(document)
            errors = list(validator.iter_errors(document))
            if bool(errors) == valid:
                wrong += 1
                print(f"{name}: {'refused: ' + errors[0].message if valid else 'taken'}",
                      file=sys.stderr)
    for name in sys.argv[2:]:
        for error in validator.iter_errors(json.loads(pathlib.Path(name).read_text())):
            wrong += 1
            print(f"{name}: {error.json_path}: {error.message}", file=sys.stderr)
    return 1 if wrong else 0


sys.exit(main())
