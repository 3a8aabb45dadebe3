# These services answer HTTP. A caller has a token of the portal, which the service checks: Cloud Run's
# own check would need the same header. Only the public services are reached from outside.
resource "google_cloud_run_v2_service" "this" {
  for_each             = local.app ? local.services : {}
  name                 = "${local.stage}-${each.key}"
  location             = var.region
  ingress              = contains(var.public, each.key) ? "INGRESS_TRAFFIC_ALL" : "INGRESS_TRAFFIC_INTERNAL_ONLY"
  invoker_iam_disabled = true
  deletion_protection  = var.protected
  depends_on = [
    google_secret_manager_secret_iam_member.reads_its_own,
    google_secret_manager_secret_iam_member.trusts_the_database,
    google_storage_bucket_iam_member.keeps_the_ledger,
  ]

  template {
    service_account                  = google_service_account.this[each.key].email
    max_instance_request_concurrency = 80

    scaling {
      min_instance_count = var.instances
      max_instance_count = each.value.keeps_a_ledger ? 1 : var.most_instances # one writer of a file
    }

    vpc_access {
      egress = "ALL_TRAFFIC"

      network_interfaces {
        network    = google_compute_network.this.id
        subnetwork = google_compute_subnetwork.services.id
      }
    }

    containers {
      image   = local.image
      command = var.image != "" ? ["python", "-m", "deploy.gcp.inside", "serve", each.key] : null

      ports {
        container_port = each.value.port
      }

      resources {
        cpu_idle = false # it says after its answer that events wait
        limits   = { cpu = "1", memory = "512Mi" }
      }

      startup_probe {
        period_seconds    = 5
        failure_threshold = 48

        http_get {
          path = "/health"
        }
      }

      liveness_probe {
        period_seconds = 30

        http_get {
          path = "/health"
        }
      }

      dynamic "env" {
        for_each = merge(local.environment[each.key], { ROLE = "api" })

        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "volume_mounts" {
        for_each = each.value.secrets

        content {
          name       = lower(replace(volume_mounts.value, "_", "-"))
          mount_path = "/secrets/${volume_mounts.value}"
        }
      }

      volume_mounts {
        name       = "database-authority"
        mount_path = "/secrets/database-authority"
      }

      dynamic "volume_mounts" {
        for_each = each.value.keeps_a_ledger ? ["ledger"] : []

        content {
          name       = volume_mounts.value
          mount_path = "/var/lib/mercado-veiculo/files"
        }
      }
    }

    dynamic "volumes" {
      for_each = each.value.secrets

      content {
        name = lower(replace(volumes.value, "_", "-"))

        secret {
          secret = google_secret_manager_secret.this["${each.key}-${lower(replace(volumes.value, "_", "-"))}"].secret_id

          items {
            path    = "value"
            version = "latest" # read anew when it is read: a password that was changed needs no rollout
          }
        }
      }
    }

    volumes {
      name = "database-authority"

      secret {
        secret = google_secret_manager_secret.database_authority.secret_id

        items {
          path    = "ca.pem"
          version = "latest"
        }
      }
    }

    dynamic "volumes" {
      for_each = each.value.keeps_a_ledger ? [google_storage_bucket.ledger.name] : []

      content {
        name = "ledger"

        gcs {
          bucket    = volumes.value
          read_only = false
        }
      }
    }
  }
}

# A worker pool consumes events (worker) or publishes them (relay). Neither answers requests.
resource "google_cloud_run_v2_worker_pool" "this" {
  for_each            = local.app ? local.pools : {}
  name                = "${local.stage}-${each.key}"
  location            = var.region
  deletion_protection = var.protected
  depends_on = [
    google_secret_manager_secret_iam_member.reads_its_own,
    google_secret_manager_secret_iam_member.trusts_the_database,
    google_storage_bucket_iam_member.keeps_the_ledger,
  ]

  scaling {
    scaling_mode          = "MANUAL"
    manual_instance_count = var.image != "" ? var.instances : 0
  }

  template {
    service_account = google_service_account.this[each.value.service].email

    vpc_access {
      egress = "ALL_TRAFFIC"

      network_interfaces {
        network    = google_compute_network.this.id
        subnetwork = google_compute_subnetwork.services.id
      }
    }

    containers {
      image   = local.image
      command = var.image != "" ? ["python", "-m", "deploy.gcp.inside", "serve", each.value.service] : null

      resources {
        limits = { cpu = "1", memory = "512Mi" }
      }

      dynamic "env" {
        for_each = merge(local.environment[each.value.service], { ROLE = each.value.role })

        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "volume_mounts" {
        for_each = local.services[each.value.service].secrets

        content {
          name       = lower(replace(volume_mounts.value, "_", "-"))
          mount_path = "/secrets/${volume_mounts.value}"
        }
      }

      volume_mounts {
        name       = "database-authority"
        mount_path = "/secrets/database-authority"
      }

      dynamic "volume_mounts" {
        for_each = local.services[each.value.service].keeps_a_ledger ? ["ledger"] : []

        content {
          name       = volume_mounts.value
          mount_path = "/var/lib/mercado-veiculo/files"
        }
      }
    }

    dynamic "volumes" {
      for_each = local.services[each.value.service].secrets

      content {
        name = lower(replace(volumes.value, "_", "-"))

        secret {
          secret = google_secret_manager_secret.this["${each.value.service}-${lower(replace(volumes.value, "_", "-"))}"].secret_id

          items {
            path    = "value"
            version = "latest" # read anew when it is read: a password that was changed needs no rollout
          }
        }
      }
    }

    volumes {
      name = "database-authority"

      secret {
        secret = google_secret_manager_secret.database_authority.secret_id

        items {
          path    = "ca.pem"
          version = "latest"
        }
      }
    }

    dynamic "volumes" {
      for_each = local.services[each.value.service].keeps_a_ledger ? [google_storage_bucket.ledger.name] : []

      content {
        name = "ledger"

        gcs {
          bucket    = volumes.value
          read_only = false
        }
      }
    }
  }
}

# The jobs make databases, roles and schemas, and the broker's users, exchanges and queues. They run
# before each rollout.
resource "google_cloud_run_v2_job" "this" {
  for_each            = local.app ? local.jobs : toset([])
  name                = "${local.stage}-${each.key}"
  location            = var.region
  deletion_protection = var.protected
  depends_on = [
    google_secret_manager_secret_iam_member.reads_its_own,
    google_secret_manager_secret_iam_member.trusts_the_database,
    google_storage_bucket_iam_member.keeps_the_ledger,
  ]

  template {
    template {
      service_account = google_service_account.this[each.key].email
      max_retries     = 0
      timeout         = "1800s"

      vpc_access {
        egress = "ALL_TRAFFIC"

        network_interfaces {
          network    = google_compute_network.this.id
          subnetwork = google_compute_subnetwork.services.id
        }
      }

      containers {
        image   = local.job_image
        command = var.job_image != "" ? ["python", "-m", "deploy.gcp.inside", each.key] : null

        resources {
          limits = { cpu = "1", memory = "1Gi" }
        }

        env {
          name  = "MIGRATIONS"
          value = var.migrations
        }

        dynamic "volume_mounts" {
          for_each = ["INSTALLATION"]

          content {
            name       = lower(replace(volume_mounts.value, "_", "-"))
            mount_path = "/secrets/${volume_mounts.value}"
          }
        }

        volume_mounts {
          name       = "database-authority"
          mount_path = "/secrets/database-authority"
        }
      }

      dynamic "volumes" {
        for_each = ["INSTALLATION"]

        content {
          name = lower(replace(volumes.value, "_", "-"))

          secret {
            secret = google_secret_manager_secret.this["${each.key}-${lower(replace(volumes.value, "_", "-"))}"].secret_id

            items {
              path    = "value"
              version = "latest" # read anew when it is read: a password that was changed needs no rollout
            }
          }
        }
      }

      volumes {
        name = "database-authority"

        secret {
          secret = google_secret_manager_secret.database_authority.secret_id

          items {
            path    = "ca.pem"
            version = "latest"
          }
        }
      }
    }
  }
}
