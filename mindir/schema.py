"""The fields of a MindIR file that are needed here, as protobuf messages.

Names and numbers are those of MindSpore's mind_ir.proto; protobuf keeps all other fields as they are.
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# message: field=number:type, a * after the type for a repeated field
SCHEMA = """
Model:     ir_version=1:string producer_name=2:string model_version=5:string graph=7:Graph functions=8:Graph*
           little_endian=10:bool primitives=12:Primitive* mind_ir_version=13:int64
Graph:     node=1:Node* name=2:string parameter=3:Tensor* input=5:Value* output=6:Value* attribute=8:Attribute*
Node:      input=1:string* output=2:string* name=3:string op_type=4:string attribute=5:Attribute* domain=7:string
           node_attr=8:Attribute* primal_attr=9:Attribute*
Value:     name=1:string tensor=2:Tensor* denotation=4:string attr_info=5:Attribute
Primitive: name=1:string op_type=2:string attribute=3:Attribute* instance_name=4:string prim_type=5:int32
Attribute: name=1:string f=2:float i=3:int64 d=4:double s=5:bytes floats=8:float* doubles=9:double* ints=10:int64*
           strings=11:bytes* tensors=12:Tensor* type=16:int32 values=17:Attribute* seq_info=18:Sequence
Sequence:  is_dyn_len=1:bool
Tensor:    dims=1:int64* data_type=2:int32 name=7:string doc_string=8:string raw_data=9:bytes external_data=12:External
           compression_type=16:int32
External:  location=1:string offset=2:int64 length=3:int64
"""
INT64, TENSORS, TUPLE, MONADS = 7, 19, 20, (23, 24)  # of AttributeProto.AttributeType


def _message_classes():
    """Return {name: protobuf message class} made from SCHEMA, in a descriptor pool of its own."""
    # proto3, for it refuses text that isn't UTF-8; every field optional and nothing packed, as in MindSpore's proto2
    file = descriptor_pb2.FileDescriptorProto(name="shard.proto", package="shard", syntax="proto3")
    kinds = {"double": 1, "float": 2, "int64": 3, "int32": 5, "bool": 8, "string": 9, "bytes": 12}
    message = None
    for word in SCHEMA.split():
        if word.endswith(":"):
            message = file.message_type.add(name=word[:-1])
            continue
        name, rest = word.split("=")
        number, kind = rest.split(":")
        field = message.field.add(name=name, number=int(number))
        if kind.endswith("*"):
            kind, field.label = kind[:-1], 3
            if kind in ("int64", "float", "double"):
                field.options.packed = False
        else:
            field.label, field.proto3_optional, field.oneof_index = 1, True, len(message.oneof_decl)
            message.oneof_decl.add(name="_" + name)
        if kind in kinds:
            field.type = kinds[kind]
        else:
            field.type, field.type_name = 11, ".shard." + kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())
    descriptors = [pool.FindMessageTypeByName("shard." + message.name) for message in file.message_type]
    if hasattr(message_factory, "GetMessageClass"):  # protobuf 4.22 and later
        return {message.name: message_factory.GetMessageClass(message) for message in descriptors}
    factory = message_factory.MessageFactory(pool)
    return {message.name: factory.GetPrototype(message) for message in descriptors}


PROTO = _message_classes()
