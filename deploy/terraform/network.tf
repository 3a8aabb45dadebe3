resource "google_compute_network" "this" {
  name                    = "mercado-${local.stage}"
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "services" {
  name                     = "services-${local.stage}"
  network                  = google_compute_network.this.id
  region                   = var.region
  ip_cidr_range            = "10.10.0.0/22"
  private_ip_google_access = true # the internal services are reached on run.app from here
}

# All requests reach the broker from one address, so that it can refuse all others.
resource "google_compute_address" "outbound" {
  name   = "outbound-${local.stage}"
  region = var.region
}

resource "google_compute_router" "this" {
  name    = "mercado-${local.stage}"
  network = google_compute_network.this.id
  region  = var.region
}

resource "google_compute_router_nat" "this" {
  name                               = "mercado-${local.stage}"
  router                             = google_compute_router.this.name
  region                             = var.region
  nat_ip_allocate_option             = "MANUAL_ONLY"
  nat_ips                            = [google_compute_address.outbound.self_link]
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"
}

# Cloud SQL runs in Google's network, and takes its addresses from this range.
resource "google_compute_global_address" "sql" {
  name          = "sql-${local.stage}"
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  prefix_length = 20
  network       = google_compute_network.this.id
}

resource "google_service_networking_connection" "sql" {
  network                 = google_compute_network.this.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.sql.name]
  deletion_policy         = "ABANDON" # it cannot be deleted for days after the last instance
}
