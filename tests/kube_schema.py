# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""kube_schema.py FILE...: checks manifests against the models that Kubernetes'
own client library is generated with: no unknown field, none of another type, and
all that are required. A line for each that is wrong, and exit status 1."""
import re
import sys

import yaml
from kubernetes.client import models

PLAIN = {"str": str, "int": int, "float": (int, float), "bool": bool,
         "object": object, "datetime": str}


def model_of(document):
    version = document.get("apiVersion", "").split("/")[-1].capitalize()
    return version + document.get("kind", "")


def check(value, kind, where, errors):
    inner = re.fullmatch(r"(list|dict)[\[(](?:str, ?)?(.+)[\])]", kind)
    if inner:
        wanted = list if inner[1] == "list" else dict
        if not isinstance(value, wanted):
            errors.append(f"{where}: expected a {inner[1]}")
            return
        items = enumerate(value) if wanted is list else value.items()
        for key, item in items:
            check(item, inner[2], f"{where}.{key}", errors)
    elif kind in PLAIN:
        if not isinstance(value, PLAIN[kind]) or \
           (kind == "int" and isinstance(value, bool)):
            errors.append(f"{where}: expected {kind}, not {value!r}")
    elif not hasattr(models, kind):
        errors.append(f"{where}: there is no {kind}")
    else:
        check_fields(value, getattr(models, kind), where, errors)


def check_fields(value, model, where, errors):
    if not isinstance(value, dict):
        errors.append(f"{where}: expected fields")
        return
    names = {json: name for name, json in model.attribute_map.items()}
    for key in value:
        if key not in names:
            errors.append(f"{where}: unknown field {key}")
        else:
            check(value[key], model.openapi_types[names[key]],
                  f"{where}.{key}", errors)
    try:  # it knows which are required
        model(**{names[key]: value[key] for key in value if key in names})
    except ValueError as error:
        errors.append(f"{where}: {error}")


def main():
    errors = []
    count = 0
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            for document in yaml.safe_load_all(file):
                count += 1
                check(document, model_of(document), f"{path}: {document.get('kind')}", errors)
    print("\n".join(errors + [f"{count} checked, {len(errors)} errors"]))
    sys.exit(bool(errors or not count))


if __name__ == "__main__":
    main()
