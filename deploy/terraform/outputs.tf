# The tasks read these values after an apply.
output "parts" {
  value = var.parts
}

output "image" {
  value = var.image
}

output "job_image" {
  value = var.job_image
}

output "urls" {
  value = local.urls # known before the services are there
}

output "public" {
  value = var.public
}

output "database" {
  value = local.sql ? {
    instance  = google_sql_database_instance.this[0].name
    host      = google_sql_database_instance.this[0].private_ip_address
    authority = google_sql_database_instance.this[0].server_ca_cert[0].cert
  } : null
}

output "repository" {
  value = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"
}

output "outbound_address" {
  value = google_compute_address.outbound.address
}
