//! Nodes and the duties that have one owner.

use cogwheel_schema::OnDelete::SetNull;
use cogwheel_schema::TableDef;
use cogwheel_schema::build::{bigint, char, global, index, instant, int, json, unique, uuid, varchar, words};

pub(super) fn tables() -> Vec<TableDef> {
    vec![nodes(), leases()]
}

fn nodes() -> TableDef {
    global("nodes")
        .columns([
            varchar("node_name", 255),
            varchar("address", 255).null(),
            json("node_roles").default("[]"),
            json("labels").default("{}"),
            words("status", ["starting", "active", "draining", "stopped", "lost"]).default("starting"),
            int("capacity").default("0"),
            varchar("engine_version", 50),
            char("schema_fingerprint", 64),
            bigint("generation").default("1"),
            instant("lease_expires_at").null(),
            instant("last_heartbeat_at").null(),
            instant("started_at"),
            instant("stopped_at").null(),
        ])
        .indexes([index("idx_nodes_status", "status, lease_expires_at").serves("find lapsed nodes; divide work")])
}

fn leases() -> TableDef {
    global("leases")
        .columns([
            varchar("lease_name", 100),
            uuid("owner_node_id").null().references("nodes", SetNull),
            bigint("lease_epoch").default("0"),
            instant("expires_at").null(),
        ])
        .indexes([unique("uq_leases_lease_name", "lease_name").serves("conditional take-over")])
        .key_indexes(["owner_node_id"])
}
