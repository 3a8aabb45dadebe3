terraform {
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
  }

  # terraform init -backend-config=bucket=NAME; a workspace for each stage.
  backend "gcs" {
    prefix = "mercado-veiculo"
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

data "google_project" "this" {}
