//! Webhooks both ways and notifications.

use cogwheel_schema::OnDelete::{Cascade, Restrict, SetNull};
use cogwheel_schema::TableDef;
use cogwheel_schema::build::{
    bigint, boolean, bytes, index, instant, int, json, rank, std, text, unique, uuid, varchar, words,
};

pub(super) fn tables() -> Vec<TableDef> {
    vec![webhooks(), webhook_deliveries(), inbound_endpoints(), notifications()]
}

fn webhooks() -> TableDef {
    std("webhooks")
        .columns([
            uuid("user_id").null().references("users", SetNull),
            varchar("name", 255),
            varchar("url", 2048),
            json("events"),
            json("event_filter").null(),
            json("headers").default("{}"),
            bytes("secret_ciphertext"),
            bytes("previous_secret_ciphertext").null(),
            uuid("encryption_key_id").references("encryption_keys", Restrict),
            int("max_retries").default("8"),
            int("timeout_seconds").default("15"),
            boolean("is_active").default("true"),
            words("disabled_reason", ["user", "consecutive_failures", "gone"]).null(),
            instant("disabled_at").null(),
            int("consecutive_failures").default("0"),
            instant("circuit_open_until").null(),
            bigint("total_calls").default("0"),
            bigint("failed_calls").default("0"),
            instant("last_triggered_at").null(),
            instant("last_success_at").null(),
            instant("last_failure_at").null(),
        ])
        .indexes([
            index("idx_webhooks_tenant_id", "tenant_id, is_active, created_at").serves("list; subscriptions to match")
        ])
        .key_indexes(["user_id", "encryption_key_id"])
        .check("ck_webhooks_disabled", "is_active = true or disabled_reason is not null")
        .check("ck_webhooks_counters", "total_calls >= failed_calls")
        .gin("idx_webhooks_events", "events")
}

fn webhook_deliveries() -> TableDef {
    std("webhook_deliveries")
        .columns([
            uuid("webhook_id").references("webhooks", Cascade),
            uuid("event_id").null().references("event_store", SetNull),
            varchar("event_type", 100),
            int("replay_number").default("0"),
            text("request_body"),
            words("status", ["pending", "delivering", "delivered", "retrying", "dead", "cancelled"]).default("pending"),
            int("attempt_count").default("0"),
            json("attempts").default("[]"),
            instant("next_attempt_at").null(),
            bigint("lease_epoch").default("0"),
            instant("lease_expires_at").null(),
            int("last_status_code").null(),
            text("response_body").null(),
            instant("delivered_at").null(),
            instant("dead_at").null(),
            boolean("is_test").default("false"),
        ])
        .indexes([
            unique("uq_webhook_deliveries_event", "webhook_id, event_id, replay_number")
                .partial("event_id is not null")
                .serves("once per event"),
            index("idx_webhook_deliveries_webhook_id", "webhook_id, created_at").serves("log of a webhook"),
            index("idx_webhook_deliveries_tenant_id", "tenant_id, status, created_at").serves("dead letters"),
            index("idx_webhook_deliveries_due", "next_attempt_at, id")
                .partial("status in ('pending', 'retrying')")
                .serves("send next"),
            index("idx_webhook_deliveries_lease_expires_at", "lease_expires_at")
                .partial("status = 'delivering'")
                .serves("abandoned tries"),
        ])
        .key_indexes(["event_id"])
        .check("ck_webhook_deliveries_end", "(status = 'delivered') = (delivered_at is not null)")
}

fn inbound_endpoints() -> TableDef {
    std("inbound_endpoints")
        .columns([
            uuid("workflow_id").references("workflows", Cascade),
            varchar("trigger_key", 100),
            varchar("endpoint_path", 255),
            json("http_methods").default("[]"),
            words("signature_mode", ["standard_webhooks", "hub_sha256", "bearer", "none"]).default("standard_webhooks"),
            uuid("secret_id").null().references("secrets", Restrict),
            int("tolerance_seconds").default("300"),
            json("allowed_networks").null(),
            json("request_filter").null(),
            words("response_mode", ["accepted", "reply"]).default("accepted"),
            boolean("is_enabled").default("true"),
            bigint("total_calls").default("0"),
            bigint("rejected_calls").default("0"),
            instant("last_called_at").null(),
        ])
        .indexes([
            unique("uq_inbound_endpoints_tenant_id_endpoint_path", "tenant_id, endpoint_path").serves("route a call"),
            unique("uq_inbound_endpoints_workflow_id_trigger_key", "workflow_id, trigger_key"),
        ])
        .key_indexes(["secret_id"])
        .check("ck_inbound_endpoints_signature", "signature_mode = 'none' or secret_id is not null")
}

fn notifications() -> TableDef {
    std("notifications")
        .columns([
            uuid("user_id").null().references("users", Cascade),
            varchar("recipient", 320),
            words("channel", ["in_app", "email", "sms", "push", "webhook"]).default("in_app"),
            uuid("event_id").null().references("event_store", SetNull),
            varchar("template_key", 100).null(),
            varchar("subject", 255),
            text("body"),
            varchar("link", 2048).null(),
            words("priority", ["low", "normal", "high", "urgent"]).default("normal"),
            rank("priority_rank", "priority", ["low", "normal", "high", "urgent"]),
            words("status", ["pending", "sent", "failed", "suppressed"]).default("pending"),
            int("attempt_count").default("0"),
            instant("next_attempt_at").null(),
            text("error").null(),
            instant("sent_at").null(),
            instant("read_at").null(),
        ])
        .indexes([
            unique("uq_notifications_event", "event_id, channel, recipient")
                .partial("event_id is not null")
                .serves("once per event, channel and recipient"),
            index("idx_notifications_user_id", "user_id, created_at").partial("user_id is not null").serves("my list"),
            index("idx_notifications_tenant_id", "tenant_id, status, created_at").serves("delivery report"),
            index("idx_notifications_due", "priority_rank desc, next_attempt_at")
                .partial("status = 'pending'")
                .serves("send next"),
        ])
        .check("ck_notifications_target", "channel <> 'in_app' or user_id is not null")
        .check("ck_notifications_sent", "(status = 'sent') = (sent_at is not null)")
}
