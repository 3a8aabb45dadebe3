# These secrets have no value here: values are added outside Terraform, so that none is in the state.
resource "google_secret_manager_secret" "this" {
  for_each  = local.secrets
  secret_id = "${local.stage}-${each.key}"

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }
}

resource "google_secret_manager_secret_iam_member" "reads_its_own" {
  for_each  = local.secrets
  secret_id = google_secret_manager_secret.this[each.key].id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.this[each.value.reader].member
}

# The authority that signed the certificate of the database. It is public, and every client needs it.
resource "google_secret_manager_secret" "database_authority" {
  secret_id = "${local.stage}-database-authority"

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }
}

resource "google_secret_manager_secret_iam_member" "trusts_the_database" {
  for_each  = local.readers
  secret_id = google_secret_manager_secret.database_authority.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.this[each.key].member
}
