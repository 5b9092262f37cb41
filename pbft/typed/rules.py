"""What a class must not have to be hosted: names that mean something else already, and versions
that no switch reaches. Each would be noticed late, at the first call or when all replicas stop.
"""

from collections.abc import Mapping
from inspect import getattr_static
from typing import Any

from pbft.core.errors import ServiceError
from pbft.typed.methods import NO_METHOD, Method
from pbft.typed.proxy import BlockingProxy, Proxy

Methods = Mapping[str, list[Method[..., Any]]]

ASK = "_ask"
"""By this attribute a method knows that it is a proxy's."""
OF_PROXIES = frozenset({*dir(Proxy), *dir(BlockingProxy)} - {*dir(object)})
HOOKS = frozenset({"version", "migrate", "invariant", "workload"})
"""What pbft looks for at a class."""


def judge_names(service: type, methods: Methods) -> None:
    """Raises `ServiceError`."""
    name = service.__name__
    if issubclass(service, Proxy | BlockingProxy):
        raise ServiceError(
            f"{name} is a proxy: name the service itself, whose commands it asks for"
        )
    for each in dir(service):
        found = getattr_static(service, each)
        if isinstance(getattr(found, "__func__", None), Method):
            raise ServiceError(f"{name}.{each} {NO_METHOD}")
        if not isinstance(found, Method):
            continue
        rename = f'rename it, and keep the name on the wire with name="{each}"'
        if each in OF_PROXIES:
            raise ServiceError(
                f"{name}.{each} cannot be called through a proxy, which has a method of that name:"
                f" {rename}"
            )
        if each in HOOKS:
            raise ServiceError(f"{name}.{each} means something to pbft itself: {rename}")
    if not methods:
        raise ServiceError(f"{name} has no @command and no @query: decorate its methods")
    if hasattr(service, ASK):
        raise ServiceError(f"{name}.{ASK} is how a proxy asks: rename it")


def newest(target: object) -> int:
    """The newest version that a service knows. Raises `ServiceError`."""
    version = getattr(target, "version", 1)
    if type(version) is not int or version < 1:
        name = type(target).__name__
        raise ServiceError(f"{name}.version is {version!r}: it is a whole number from 1 on")
    return version


def judge_versions(target: object, methods: Methods, attributes: Mapping[str, int]) -> None:
    """`attributes`: the versions that brought them. Raises `ServiceError`: to switch to a version
    that the class does not say it knows stops every replica."""
    name, known = type(target).__name__, newest(target)
    found = [(each.__name__, each.since) for versions in methods.values() for each in versions]
    for each, version in (*found, *attributes.items()):
        if version > known:
            raise ServiceError(
                f"{name}.{each} is there from version {version} on, and {name}.version is {known}:"
                f" set `version = {version}`"
            )
