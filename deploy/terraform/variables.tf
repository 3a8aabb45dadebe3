variable "project" {
  type = string
}

variable "region" {
  type = string
}

variable "parts" {
  description = "Which parts there are beside the network, the registry and the secrets: sql, app."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.parts, ["sql", "app"])) == 0
    error_message = "The parts are sql and app."
  }
}

variable "image" {
  description = "What services and pools run, with its digest. Empty: a placeholder, and no pool has an instance."
  type        = string
  default     = ""

  validation {
    condition     = var.image == "" || can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "Name the image with its digest: …@sha256:…"
  }
}

variable "job_image" {
  description = "What the jobs run: the next image, before the services get it."
  type        = string
  default     = ""

  validation {
    condition     = var.job_image == "" || can(regex("@sha256:[0-9a-f]{64}$", var.job_image))
    error_message = "Name the image with its digest: …@sha256:…"
  }
}

variable "protected" {
  description = "False only in the moment before something is destroyed."
  type        = bool
  default     = true
}

variable "public" {
  description = "The services that the internet reaches. Each checks the caller's token itself."
  type        = set(string)
}

variable "migrations" {
  description = "automatic: a rollout migrates. approved: somebody has to approve first."
  type        = string

  validation {
    condition     = contains(["automatic", "approved"], var.migrations)
    error_message = "Migrations are automatic or approved."
  }
}

variable "database_tier" {
  type = string
}

variable "database_availability" {
  type = string
}

variable "backups_kept" {
  type = number
}

variable "instances" {
  description = "Of each service at least, and of each pool."
  type        = number
}

variable "most_instances" {
  description = "Of each service at most."
  type        = number
}
