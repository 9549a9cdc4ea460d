//! Companies, their units and who belongs where.

use cogwheel_schema::OnDelete::{Cascade, SetNull};
use cogwheel_schema::TableDef;
use cogwheel_schema::build::{char, child, date, index, instant, json, money, std, text, unique, uuid, varchar, words};

pub(super) fn tables() -> Vec<TableDef> {
    vec![organizations(), branches(), departments(), projects(), teams(), team_members(), user_assignments()]
}

fn organizations() -> TableDef {
    std("organizations")
        .columns([
            varchar("name", 255),
            varchar("short_name", 50).null(),
            varchar("industry", 100).null(),
            varchar("company_size", 50).null(),
            varchar("country", 2).null(),
            varchar("timezone", 64).default("UTC"),
            varchar("logo_url", 2048).null(),
            text("description").null(),
            json("settings").default("{}"),
        ])
        .indexes([unique("uq_organizations_tenant_id_name", "tenant_id, name").serves("list by name")])
}

fn branches() -> TableDef {
    std("branches")
        .columns([
            uuid("organization_id").references("organizations", Cascade),
            varchar("name", 255),
            varchar("branch_code", 50).null(),
            text("location").null(),
            uuid("branch_manager_id").null().references("users", SetNull),
            words("status", ["active", "inactive"]).default("active"),
        ])
        .indexes([
            unique("uq_branches_organization_id_name", "organization_id, name"),
            unique("uq_branches_organization_id_branch_code", "organization_id, branch_code")
                .partial("branch_code is not null"),
            index("idx_branches_tenant_id", "tenant_id, status"),
        ])
        .key_indexes(["branch_manager_id"])
}

fn departments() -> TableDef {
    std("departments")
        .columns([
            uuid("organization_id").references("organizations", Cascade),
            uuid("branch_id").null().references("branches", SetNull),
            uuid("parent_department_id").null().references("departments", SetNull),
            varchar("name", 255),
            uuid("department_head_id").null().references("users", SetNull),
            text("description").null(),
            money("budget").null(),
            char("budget_currency", 3).null(),
            words("status", ["active", "inactive"]).default("active"),
        ])
        .indexes([
            unique("uq_departments_siblings_name", "coalesce(parent_department_id, branch_id, organization_id), name")
                .serves("one name among siblings"),
            index("idx_departments_tenant_id", "tenant_id, status"),
        ])
        .key_indexes(["organization_id", "branch_id", "parent_department_id", "department_head_id"])
        .check("ck_departments_parent", "parent_department_id is null or parent_department_id <> id")
        .check("ck_departments_budget_pair", "(budget is null) = (budget_currency is null)")
}

fn projects() -> TableDef {
    std("projects")
        .columns([
            uuid("organization_id").references("organizations", Cascade),
            uuid("department_id").null().references("departments", SetNull),
            uuid("project_manager_id").null().references("users", SetNull),
            varchar("name", 255),
            text("description").null(),
            date("start_date").null(),
            date("end_date").null(),
            money("budget").null(),
            char("budget_currency", 3).null(),
            words("status", ["planning", "active", "completed", "cancelled"]).default("planning"),
        ])
        .indexes([
            unique("uq_projects_organization_id_name", "organization_id, name"),
            index("idx_projects_tenant_id", "tenant_id, status"),
        ])
        .key_indexes(["department_id", "project_manager_id"])
        .check("ck_projects_dates", "start_date is null or end_date is null or end_date >= start_date")
        .check("ck_projects_budget_pair", "(budget is null) = (budget_currency is null)")
}

fn teams() -> TableDef {
    std("teams")
        .columns([
            uuid("organization_id").references("organizations", Cascade),
            varchar("name", 255),
            text("description").null(),
            uuid("team_lead_id").null().references("users", SetNull),
        ])
        .indexes([
            unique("uq_teams_organization_id_name", "organization_id, name"),
            index("idx_teams_tenant_id", "tenant_id, name"),
        ])
        .key_indexes(["team_lead_id"])
}

fn team_members() -> TableDef {
    child("team_members", ["team_id", "user_id"])
        .columns([
            uuid("team_id").references("teams", Cascade),
            uuid("user_id").references("users", Cascade),
            words("role", ["member", "lead", "observer"]).default("member"),
            instant("joined_at").default("now"),
            uuid("added_by_user_id").null().references("users", SetNull),
        ])
        .key_indexes(["tenant_id", "user_id", "added_by_user_id"])
}

fn user_assignments() -> TableDef {
    std("user_assignments")
        .columns([
            uuid("user_id").references("users", Cascade),
            uuid("organization_id").null().references("organizations", Cascade),
            uuid("branch_id").null().references("branches", Cascade),
            uuid("department_id").null().references("departments", Cascade),
            uuid("project_id").null().references("projects", Cascade),
            json("access_scope").default("{}"),
            uuid("assigned_by_user_id").null().references("users", SetNull),
        ])
        .indexes([
            unique(
                "uq_user_assignments_place",
                "user_id, coalesce(organization_id, branch_id, department_id, project_id)",
            )
            .serves("once per unit; units of a person"),
            index("idx_user_assignments_tenant_id", "tenant_id, user_id"),
        ])
        .key_indexes(["organization_id", "branch_id", "department_id", "project_id", "assigned_by_user_id"])
        .check(
            "ck_user_assignments_place",
            "(case when organization_id is null then 0 else 1 end) + (case when \
             branch_id is null then 0 else 1 end) + (case when department_id is \
             null then 0 else 1 end) + (case when project_id is null then 0 else 1 \
             end) = 1",
        )
}
