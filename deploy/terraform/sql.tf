# The job `databases` makes a database and its roles for each service: a user that Terraform makes would
# be a member of cloudsqlsuperuser.
resource "google_sql_database_instance" "this" {
  count               = local.sql ? 1 : 0
  name                = "mercado-${local.stage}"
  region              = var.region
  database_version    = "POSTGRES_17"
  deletion_protection = var.protected
  depends_on          = [google_service_networking_connection.sql]

  settings {
    tier                        = var.database_tier
    edition                     = "ENTERPRISE"
    availability_type           = var.database_availability
    disk_type                   = "PD_SSD"
    disk_autoresize             = true
    deletion_protection_enabled = var.protected
    retain_backups_on_delete    = true

    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.this.id
      ssl_mode        = "ENCRYPTED_ONLY"
    }

    backup_configuration {
      enabled                        = true
      start_time                     = "05:00"
      point_in_time_recovery_enabled = true
      transaction_log_retention_days = 7

      backup_retention_settings {
        retained_backups = var.backups_kept
      }
    }

    database_flags {
      name  = "idle_in_transaction_session_timeout"
      value = "30000"
    }

    # The limit is of every session on the server: Cloud SQL has none for the readers of figures alone.
    database_flags {
      name  = "temp_file_limit"
      value = "1048576"
    }

    insights_config {
      query_insights_enabled = true
    }
  }
}
