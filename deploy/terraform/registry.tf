resource "google_artifact_registry_repository" "images" {
  repository_id = "mercado-${local.stage}"
  location      = var.region
  format        = "DOCKER"

  docker_config {
    immutable_tags = true
  }
}
