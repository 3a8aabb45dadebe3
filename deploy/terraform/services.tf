locals {
  stage     = terraform.workspace
  catalogue = jsondecode(file("${path.module}/services.json"))
  services  = { for each in local.catalogue.services : each.name => each }
  jobs      = toset(local.catalogue.jobs)
  readers   = setunion(keys(local.services), local.jobs)

  # A service is one application, whatever the number of its pools.
  pools = merge([
    for name, service in local.services : {
      for role in service.pools : "${name}-${role}" => { service = name, role = role }
    }
  ]...)

  # The services name each other, so their addresses must be known before they exist.
  urls = {
    for name in keys(local.services) :
    name => "https://${local.stage}-${name}-${data.google_project.this.number}.${var.region}.run.app"
  }
  portal = one([for name, service in local.services : name if service.is_portal])
  peers = {
    for name, url in local.urls : "${upper(name)}_URL" => url if name != local.portal
  }

  sql = contains(var.parts, "sql")
  app = contains(var.parts, "app")

  # Each secret setting of each service has a secret, and each job has one.
  service_secrets = merge([
    for name, service in local.services : {
      for setting in service.secrets :
      "${name}-${lower(replace(setting, "_", "-"))}" => { reader = name, setting = setting }
    }
  ]...)
  job_secrets = { for job in local.jobs : "${job}-installation" => { reader = job, setting = "INSTALLATION" } }
  secrets     = merge(local.service_secrets, local.job_secrets)

  placeholder = "us-docker.pkg.dev/cloudrun/container/hello"
  image       = var.image != "" ? var.image : local.placeholder
  job_image   = var.job_image != "" ? var.job_image : local.placeholder

  environment = {
    for name, service in local.services : name => merge(
      service.settings,
      { for setting in service.secrets : "${setting}_FILE" => "/secrets/${setting}/value" },
      service.is_portal ? merge(local.peers, { PUBLIC_URL = local.urls[name], SECURE_COOKIES = "true" }) : {},
      {
        AUTH             = "on"
        HOST             = "0.0.0.0"
        JWKS_URL         = "${local.urls[local.portal]}/.well-known/jwks.json"
        SHUTDOWN_SECONDS = "8" # Cloud Run kills after ten
        TLS              = "required"
        TRUSTED_PROXIES  = "169.254.0.0/16" # Cloud Run's own, which alone reaches a container
      },
    )
  }
}
