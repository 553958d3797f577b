#!/usr/bin/env python3
"""RPC servers as nova-compute runs them, with the real oslo.messaging and Nova's own serializers.

  rpc_server.py serve URL HOST DURABILITY   listens as the compute service of a host; prints "ready",
                                            then a JSON line for each message; ends with its input
  rpc_server.py instance                    prints arguments of reboot_instance: a real Instance
"""
import json
import logging
import os
import sys

# Nova's own switch: without it threads are green, and reading standard input would stop them all.
os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "true"

import oslo_messaging

import nova.conf
from nova import baserpc
from nova import context as nova_context
from nova import objects
from nova import rpc
from nova.objects import base as objects_base

OPTIONS = {
    "transient": {},
    "durable": {"amqp_durable_queues": True},
    "quorum": {"rabbit_quorum_queue": True},
}


def say(**facts):
    print(json.dumps(facts), flush=True)


class Compute:
    """The methods of nova-compute that the suite casts to."""

    target = oslo_messaging.Target(version="6.5")

    def reboot_instance(self, context, instance, block_device_info, reboot_type):
        say(method="reboot_instance", is_instance=isinstance(instance, objects.Instance),
            uuid=instance.uuid, vm_state=instance.vm_state, metadata=instance.metadata,
            changes=sorted(instance.obj_what_changed()), launched_at=str(instance.launched_at),
            block_device_info=block_device_info, reboot_type=reboot_type,
            context=type(context).__name__, user_id=context.user_id,
            request_id=context.request_id)


class Base(baserpc.BaseRPCAPI):
    """Nova's own answer to a ping, which is also told."""

    def ping(self, context, arg):
        answer = super().ping(context, arg)
        say(method="ping", arg=arg, answer=answer)
        return answer


def serve(url, host, durability):
    oslo_messaging.set_transport_defaults("nova")
    # Opening a transport registers its options, which another one then takes.
    oslo_messaging.get_rpc_transport(nova.conf.CONF, url=url)
    for name, value in OPTIONS[durability].items():
        nova.conf.CONF.set_override(name, value, group="oslo_messaging_rabbit")
    transport = oslo_messaging.get_rpc_transport(nova.conf.CONF, url=url)
    serializer = rpc.RequestContextSerializer(objects_base.NovaObjectSerializer())
    server = oslo_messaging.get_rpc_server(
        transport, oslo_messaging.Target(topic="compute", server=host),
        [Compute(), Base("compute", None)], executor="threading", serializer=serializer,
        access_policy=oslo_messaging.DefaultRPCAccessPolicy)
    server.start()
    say(ready=host)
    sys.stdin.read()
    server.stop()
    server.wait()


def instance():
    context = nova_context.RequestContext("user", "project")
    sample = objects.Instance(
        context, uuid="6d0f4b3e-2b5f-4a7e-9f4e-52a3a7f1b6c1", vm_state="active", host="anywhere",
        display_name="näme \U0001F600", metadata={"key": "va\"lue\\"}, launched_at=None)
    sample.obj_reset_changes(["host"])
    primitive = objects_base.NovaObjectSerializer().serialize_entity(context, sample)
    print(json.dumps({"instance": primitive, "block_device_info": None, "reboot_type": "HARD"}))


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    nova.conf.CONF([], project="nova", default_config_files=[])
    objects.register_all()
    if sys.argv[1] == "serve":
        serve(*sys.argv[2:])
    else:
        instance()
