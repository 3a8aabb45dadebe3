# Each service and each job has an account. None has a role on the project.
resource "google_service_account" "this" {
  for_each     = local.readers
  account_id   = "${substr(local.stage, 0, 12)}-${each.key}"
  display_name = "${each.key} of ${local.stage}"
}

# This bucket holds the erasure ledger, outside the database and its backups. Each write makes a version.
resource "google_storage_bucket" "ledger" {
  name                        = "${var.project}-${local.stage}-erasures"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }
}

resource "google_storage_bucket_iam_member" "keeps_the_ledger" {
  for_each = { for name, service in local.services : name => service if service.keeps_a_ledger }
  bucket   = google_storage_bucket.ledger.name
  role     = "roles/storage.objectUser"
  member   = google_service_account.this[each.key].member
}
